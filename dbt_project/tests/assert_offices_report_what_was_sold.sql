-- What the offices report is what the tills recorded, for every store and week, to the cent.
{{ config(meta={'dagster': {'ref': {'name': 'weekly_office_sales'}}}) }}

with

recorded as (

    select
        store_id,
        week_number,
        max(transaction_date) as last_sale_date,
        count(distinct basket_id) as basket_count,
        sum(quantity) as quantity,
        sum(sales_value) as sales_value
    from {{ ref('fct_sales') }}
    group by
        store_id,
        week_number

),

reported as (

    select * from {{ ref('weekly_office_sales') }}

)

select
    coalesce(reported.store_id, recorded.store_id) as store_id,
    coalesce(reported.week_number, recorded.week_number) as week_number,
    reported.sales_value,
    recorded.sales_value as recorded_sales_value,
    reported.quantity,
    recorded.quantity as recorded_quantity,
    reported.basket_count,
    recorded.basket_count as recorded_basket_count,
    reported.last_sale_date,
    recorded.last_sale_date as recorded_last_sale_date
from reported
full outer join recorded
    on
        reported.store_id = recorded.store_id
        and reported.week_number = recorded.week_number
where
    reported.store_id is null
    or recorded.store_id is null
    or reported.sales_value <> recorded.sales_value
    or reported.quantity <> recorded.quantity
    or reported.basket_count <> recorded.basket_count
    or reported.last_sale_date <> recorded.last_sale_date
