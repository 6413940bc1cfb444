with

campaigns as (

    select * from {{ ref('dim_campaign') }}

),

targets as (

    select * from {{ ref('stg_raw__campaigns') }}

),

coupons as (

    select * from {{ ref('stg_raw__coupons') }}

),

redemptions as (

    select * from {{ ref('stg_raw__coupon_redemptions') }}

),

sales as (

    select * from {{ ref('fct_sales') }}

),

target_counts as (

    select
        campaign_id,
        count(*) as household_count
    from targets
    group by campaign_id

),

coupon_counts as (

    select
        campaign_id,
        count(distinct coupon_upc) as coupon_count,
        count(distinct product_id) as product_count
    from coupons
    group by campaign_id

),

redemption_counts as (

    select
        campaign_id,
        count(*) as redemption_count,
        count(distinct household_id) as redeeming_household_count
    from redemptions
    group by campaign_id

),

-- a product may have several coupons of one campaign: its sales count once
campaign_products as (

    select distinct
        campaign_id,
        product_id
    from coupons

),

campaign_sales as (

    select
        campaigns.campaign_id,
        sum(sales.sales_value) as sales_value
    from campaigns
    inner join targets
        on campaigns.campaign_id = targets.campaign_id
    inner join sales
        on
            targets.household_id = sales.household_id
            and sales.transaction_date between campaigns.start_date and campaigns.end_date
    inner join campaign_products
        on
            campaigns.campaign_id = campaign_products.campaign_id
            and sales.product_id = campaign_products.product_id
    group by campaigns.campaign_id

),

measures as (

    select
        campaigns.*,
        campaign_sales.sales_value,
        coalesce(target_counts.household_count, 0) as household_count,
        coalesce(coupon_counts.coupon_count, 0) as coupon_count,
        coalesce(coupon_counts.product_count, 0) as product_count,
        coalesce(redemption_counts.redemption_count, 0) as redemption_count,
        coalesce(redemption_counts.redeeming_household_count, 0) as redeeming_household_count
    from campaigns
    left join target_counts
        on campaigns.campaign_id = target_counts.campaign_id
    left join coupon_counts
        on campaigns.campaign_id = coupon_counts.campaign_id
    left join redemption_counts
        on campaigns.campaign_id = redemption_counts.campaign_id
    left join campaign_sales
        on campaigns.campaign_id = campaign_sales.campaign_id

),

final as (

    select
        cast(campaign_id as bigint) as campaign_id,
        cast(campaign_type as {{ dbt.type_string() }}) as campaign_type,
        cast(start_date as date) as start_date,
        cast(end_date as date) as end_date,
        cast(household_count as bigint) as household_count,
        cast(redeeming_household_count as bigint) as redeeming_household_count,
        cast(
            {{ ratio('redeeming_household_count', 'household_count') }} as double
        ) as redemption_rate,
        cast(coupon_count as bigint) as coupon_count,
        cast(product_count as bigint) as product_count,
        cast(redemption_count as bigint) as redemption_count,
        cast(coalesce(sales_value, 0) as decimal(38, 2)) as promoted_sales_value
    from measures

)

select * from final
