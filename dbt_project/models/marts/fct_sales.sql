with

transactions as (

    select * from {{ ref('stg_raw__transactions') }}

),

final as (

    select
        cast(basket_id as bigint) as basket_id,
        cast(product_id as bigint) as product_id,
        cast(household_id as bigint) as household_id,
        cast(store_id as bigint) as store_id,
        cast(transaction_at as timestamp) as transaction_at,
        cast(transaction_at as date) as transaction_date,
        cast(week_number as smallint) as week_number,
        cast(quantity as integer) as quantity,
        cast(sales_value as decimal(12, 2)) as sales_value,
        cast(retail_discount as decimal(12, 2)) as retail_discount,
        cast(coupon_discount as decimal(12, 2)) as coupon_discount,
        cast(coupon_match_discount as decimal(12, 2)) as coupon_match_discount,
        cast(
            sales_value + retail_discount + coupon_match_discount as decimal(12, 2)
        ) as gross_value,
        cast(sales_value - coupon_discount as decimal(12, 2)) as paid_value,
        cast(
            retail_discount + coupon_discount + coupon_match_discount > 0 as boolean
        ) as is_discounted,
        cast(coupon_discount > 0 as boolean) as has_coupon
    from transactions

)

select * from final
