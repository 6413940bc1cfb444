with

promotions as (

    select * from {{ ref('stg_raw__promotions') }}

),

final as (

    select
        cast(product_id as bigint) as product_id,
        cast(store_id as bigint) as store_id,
        cast(week_number as smallint) as week_number,
        cast(display_location as {{ dbt.type_string() }}) as display_location,
        cast(mailer_location as {{ dbt.type_string() }}) as mailer_location,
        cast(display_location <> '0' as boolean) as is_displayed,
        cast(mailer_location <> '0' as boolean) as is_mailed
    from promotions

)

select * from final
