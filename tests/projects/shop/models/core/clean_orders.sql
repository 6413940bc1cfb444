select order_id, customer, amount, ordered_on from {{ ref('orders') }}
