with

sales as (

    select * from {{ ref('fct_sales') }}

),

products as (

    select * from {{ ref('dim_product') }}

),

sums as (

    select
        sales.transaction_date,
        sales.store_id,
        products.department,
        count(*) as line_count,
        count(distinct sales.basket_id) as basket_count,
        sum(sales.quantity) as quantity,
        sum(sales.sales_value) as sales_value,
        sum(sales.gross_value) as gross_value
    from sales
    inner join products
        on sales.product_id = products.product_id
    group by
        sales.transaction_date,
        sales.store_id,
        products.department

),

-- Sums keep the full width of a decimal, so that no year and no chain is too large for them.
final as (

    select
        cast(transaction_date as date) as transaction_date,
        cast(store_id as bigint) as store_id,
        cast(department as {{ dbt.type_string() }}) as department,
        cast(line_count as bigint) as line_count,
        cast(basket_count as bigint) as basket_count,
        cast(quantity as bigint) as quantity,
        cast(sales_value as decimal(38, 2)) as sales_value,
        cast(gross_value as decimal(38, 2)) as gross_value,
        cast({{ ratio('gross_value - sales_value', 'gross_value') }} as double) as discount_rate
    from sums

)

select * from final
