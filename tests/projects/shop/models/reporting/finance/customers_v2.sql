select
    cast(customer as varchar) as customer,
    cast(count(*) as bigint) as orders,
    cast(sum(amount) as decimal(18, 2)) as amount
from {{ ref('clean_orders') }}
group by customer
