-- What the tills recorded is built before, as the reports are compared with it.
-- depends_on: {{ ref('fct_sales') }}

with

german as (

    select * from {{ ref('stg_raw__weekly_report_german') }}

),

hungarian as (

    select * from {{ ref('stg_raw__weekly_report_hungarian') }}

),

reports as (

    select 'German' as office, german.* from german

    union all

    select 'Hungarian' as office, hungarian.* from hungarian

),

final as (

    select
        cast(office as {{ dbt.type_string() }}) as office,
        cast(store_id as bigint) as store_id,
        cast(week_number as smallint) as week_number,
        cast(last_sale_date as date) as last_sale_date,
        cast(basket_count as bigint) as basket_count,
        cast(quantity as bigint) as quantity,
        cast(sales_value as decimal(12, 2)) as sales_value
    from reports

)

select * from final
