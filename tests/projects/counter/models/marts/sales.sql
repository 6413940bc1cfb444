select order_id, customer_id, net from {{ ref('stg_orders') }}
