{{ config(alias='Revenue per Day') }}
select
    cast(ordered_on as date) as "Ordered On",
    cast(sum(amount) as decimal(38, 2)) as "Total Amount"
from {{ ref('clean_orders') }}
group by ordered_on
