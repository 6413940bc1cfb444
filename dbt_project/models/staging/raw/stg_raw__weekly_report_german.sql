with

source as (

    select * from {{ source('raw', 'weekly_report_german') }}

),

final as (

    select
        cast({{ adapter.quote('Geschäft') }} as bigint) as store_id,
        cast({{ adapter.quote('Woche') }} as smallint) as week_number,
        cast({{ adapter.quote('Letzter Verkauf') }} as date) as last_sale_date,
        cast({{ adapter.quote('Kassenbons') }} as bigint) as basket_count,
        cast({{ adapter.quote('Stück') }} as bigint) as quantity,
        cast({{ adapter.quote('Umsatz USD') }} as decimal(12, 2)) as sales_value
    from source

)

select * from final
