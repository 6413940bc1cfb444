-- No cent and no line is lost or made on the way from the source to the marts.
{{ config(meta={'dagster': {'ref': {'name': 'daily_sales'}}}) }}

with

expected as (

    select
        count(*) as line_count,
        sum(sales_value) as sales_value
    from {{ ref('stg_raw__transactions') }}

),

actual as (

    select
        'fct_sales' as mart,
        count(*) as line_count,
        sum(sales_value) as sales_value
    from {{ ref('fct_sales') }}

    union all

    select
        'daily_sales' as mart,
        sum(line_count) as line_count,
        sum(sales_value) as sales_value
    from {{ ref('daily_sales') }}

)

select
    actual.mart,
    actual.line_count,
    actual.sales_value,
    expected.line_count as expected_line_count,
    expected.sales_value as expected_sales_value
from actual
cross join expected
where
    coalesce(actual.line_count, 0) <> coalesce(expected.line_count, 0)
    or coalesce(actual.sales_value, 0) <> coalesce(expected.sales_value, 0)
