-- The households' spend adds up to all sales.
{{ config(meta={'dagster': {'ref': {'name': 'household_segments'}}}) }}

with

expected as (

    select sum(sales_value) as sales_value from {{ ref('fct_sales') }}

),

actual as (

    select sum(sales_value) as sales_value from {{ ref('household_segments') }}

)

select
    actual.sales_value,
    expected.sales_value as expected_sales_value
from actual
cross join expected
where coalesce(actual.sales_value, 0) <> coalesce(expected.sales_value, 0)
