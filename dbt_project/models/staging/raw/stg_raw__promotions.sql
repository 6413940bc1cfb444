with

source as (

    select * from {{ source('raw', 'promotions') }}

),

final as (

    select
        cast(product_id as bigint) as product_id,
        cast(store_id as bigint) as store_id,
        cast(week as smallint) as week_number,
        cast(display_location as {{ dbt.type_string() }}) as display_location,
        cast(mailer_location as {{ dbt.type_string() }}) as mailer_location
    from source

)

select * from final
