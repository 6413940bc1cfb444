with

products as (

    select * from {{ ref('stg_raw__products') }}

),

-- union, not union all: each product once, wherever it is named
product_ids as (

    select product_id from products
    union
    select product_id from {{ ref('stg_raw__transactions') }}
    union
    select product_id from {{ ref('stg_raw__promotions') }}
    union
    select product_id from {{ ref('stg_raw__coupons') }}

),

final as (

    select
        cast(product_ids.product_id as bigint) as product_id,
        cast(products.manufacturer_id as bigint) as manufacturer_id,
        cast(coalesce(products.department, 'Unknown') as {{ dbt.type_string() }}) as department,
        cast(
            coalesce(products.product_category, 'Unknown') as {{ dbt.type_string() }}
        ) as product_category,
        cast(
            coalesce(products.product_type, 'Unknown') as {{ dbt.type_string() }}
        ) as product_type,
        cast(coalesce(products.brand, 'Unknown') as {{ dbt.type_string() }}) as brand,
        cast(products.package_size as {{ dbt.type_string() }}) as package_size,
        cast(products.product_id is not null as boolean) as is_in_product_master
    from product_ids
    left join products
        on product_ids.product_id = products.product_id

)

select * from final
