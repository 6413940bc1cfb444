with

source as (

    select * from {{ source('raw', 'products') }}

),

final as (

    select
        cast(product_id as bigint) as product_id,
        cast(manufacturer_id as bigint) as manufacturer_id,
        cast(department as {{ dbt.type_string() }}) as department,
        cast(product_category as {{ dbt.type_string() }}) as product_category,
        cast(product_type as {{ dbt.type_string() }}) as product_type,
        cast(brand as {{ dbt.type_string() }}) as brand,
        cast(package_size as {{ dbt.type_string() }}) as package_size
    from source

)

select * from final
