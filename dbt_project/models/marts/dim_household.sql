with

demographics as (

    select * from {{ ref('stg_raw__demographics') }}

),

targeted as (

    select distinct household_id from {{ ref('stg_raw__campaigns') }}

),

buyers as (

    select distinct household_id from {{ ref('stg_raw__transactions') }}

),

household_ids as (

    select household_id from demographics
    union
    select household_id from targeted
    union
    select household_id from buyers

),

final as (

    select
        cast(household_ids.household_id as bigint) as household_id,
        cast(coalesce(demographics.age_range, 'Unknown') as {{ dbt.type_string() }}) as age_range,
        cast(
            coalesce(demographics.income_range, 'Unknown') as {{ dbt.type_string() }}
        ) as income_range,
        cast(
            case demographics.income_range
                when 'Under 15K' then 1
                when '15-24K' then 2
                when '25-34K' then 3
                when '35-49K' then 4
                when '50-74K' then 5
                when '75-99K' then 6
                when '100-124K' then 7
                when '125-149K' then 8
                when '150-174K' then 9
                when '175-199K' then 10
                when '200-249K' then 11
                when '250K+' then 12
            end as smallint
        ) as income_rank,
        cast(
            coalesce(demographics.home_ownership, 'Unknown') as {{ dbt.type_string() }}
        ) as home_ownership,
        cast(
            coalesce(demographics.marital_status, 'Unknown') as {{ dbt.type_string() }}
        ) as marital_status,
        cast(
            coalesce(demographics.household_size, 'Unknown') as {{ dbt.type_string() }}
        ) as household_size,
        cast(
            coalesce(demographics.household_composition, 'Unknown') as {{ dbt.type_string() }}
        ) as household_composition,
        cast(
            coalesce(demographics.kids_count, 'Unknown') as {{ dbt.type_string() }}
        ) as kids_count,
        cast(demographics.household_id is not null as boolean) as has_demographics,
        cast(buyers.household_id is not null as boolean) as has_purchased,
        cast(targeted.household_id is not null as boolean) as is_targeted
    from household_ids
    left join demographics
        on household_ids.household_id = demographics.household_id
    left join buyers
        on household_ids.household_id = buyers.household_id
    left join targeted
        on household_ids.household_id = targeted.household_id

)

select * from final
