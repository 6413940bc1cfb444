with

sales as (

    select * from {{ ref('fct_sales') }}

),

households as (

    select * from {{ ref('dim_household') }}

),

redemptions as (

    select
        household_id,
        count(*) as redemption_count
    from {{ ref('stg_raw__coupon_redemptions') }}
    group by household_id

),

last_day as (

    select max(transaction_date) as as_of_date from sales

),

purchases as (

    select
        household_id,
        count(distinct basket_id) as basket_count,
        min(transaction_at) as first_purchase_at,
        max(transaction_at) as last_purchase_at,
        max(transaction_date) as last_purchase_date,
        sum(sales_value) as sales_value,
        sum(gross_value) as gross_value
    from sales
    group by household_id

),

measures as (

    select
        households.household_id,
        households.has_demographics,
        purchases.first_purchase_at,
        purchases.last_purchase_at,
        purchases.gross_value,
        coalesce(purchases.basket_count, 0) as basket_count,
        coalesce(purchases.sales_value, 0) as sales_value,
        coalesce(redemptions.redemption_count, 0) as redemption_count,
        {{ days_between('purchases.last_purchase_date', 'last_day.as_of_date') }} as recency_days
    from households
    cross join last_day
    left join purchases
        on households.household_id = purchases.household_id
    left join redemptions
        on households.household_id = redemptions.household_id

),

final as (

    select
        cast(household_id as bigint) as household_id,
        cast(
            case
                when basket_count = 0 then 'No purchase'
                when recency_days > 60 then 'Lapsed'
                when basket_count >= 104 then 'Frequent'
                when basket_count >= 26 then 'Regular'
                else 'Occasional'
            end as {{ dbt.type_string() }}
        ) as segment,
        cast(
            ntile(5) over (order by sales_value desc, household_id) as smallint
        ) as spend_quintile,
        cast(basket_count as bigint) as basket_count,
        cast(first_purchase_at as timestamp) as first_purchase_at,
        cast(last_purchase_at as timestamp) as last_purchase_at,
        cast(recency_days as integer) as recency_days,
        cast(sales_value as decimal(12, 2)) as sales_value,
        cast({{ ratio('sales_value', 'basket_count') }} as double) as sales_value_per_basket,
        cast({{ ratio('gross_value - sales_value', 'gross_value') }} as double) as discount_rate,
        cast(redemption_count as bigint) as redemption_count,
        cast(redemption_count > 0 as boolean) as has_redeemed,
        cast(has_demographics as boolean) as has_demographics
    from measures

)

select * from final
