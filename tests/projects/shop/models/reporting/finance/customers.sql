select
    cast(customer as varchar) as customer,
    cast(count(*) as bigint) as orders
from {{ ref('clean_orders') }}
group by customer
