select order_id, customer_id, net from {{ source('raw', 'orders') }}
