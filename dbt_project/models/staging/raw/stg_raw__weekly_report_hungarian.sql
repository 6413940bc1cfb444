with

source as (

    select * from {{ source('raw', 'weekly_report_hungarian') }}

),

final as (

    select
        cast({{ adapter.quote('Üzlet') }} as bigint) as store_id,
        cast({{ adapter.quote('Hét') }} as smallint) as week_number,
        cast({{ adapter.quote('Utolsó eladás') }} as date) as last_sale_date,
        cast({{ adapter.quote('Nyugták') }} as bigint) as basket_count,
        cast({{ adapter.quote('Mennyiség') }} as bigint) as quantity,
        cast({{ adapter.quote('Forgalom USD') }} as decimal(12, 2)) as sales_value
    from source

)

select * from final
