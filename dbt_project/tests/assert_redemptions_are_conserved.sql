-- Every redemption belongs to a campaign and to a household that the marts know.
{{ config(meta={'dagster': {'ref': {'name': 'campaign_performance'}}}) }}

with

expected as (

    select count(*) as redemption_count from {{ ref('stg_raw__coupon_redemptions') }}

),

actual as (

    select
        'campaign_performance' as mart,
        sum(redemption_count) as redemption_count
    from {{ ref('campaign_performance') }}

    union all

    select
        'household_segments' as mart,
        sum(redemption_count) as redemption_count
    from {{ ref('household_segments') }}

)

select
    actual.mart,
    actual.redemption_count,
    expected.redemption_count as expected_redemption_count
from actual
cross join expected
where coalesce(actual.redemption_count, 0) <> coalesce(expected.redemption_count, 0)
