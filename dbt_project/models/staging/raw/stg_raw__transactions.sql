with

source as (

    select * from {{ source('raw', 'transactions') }}

),

final as (

    select
        cast(basket_id as bigint) as basket_id,
        cast(product_id as bigint) as product_id,
        cast(household_id as bigint) as household_id,
        cast(store_id as bigint) as store_id,
        cast(week as smallint) as week_number,
        cast(transaction_timestamp as timestamp) as transaction_at,
        cast(quantity as integer) as quantity,
        {{ money('sales_value') }} as sales_value,
        {{ money('retail_disc') }} as retail_discount,
        {{ money('coupon_disc') }} as coupon_discount,
        {{ money('coupon_match_disc') }} as coupon_match_discount
    from source

)

select * from final
