with

descriptions as (

    select * from {{ ref('stg_raw__campaign_descriptions') }}

),

final as (

    select
        cast(campaign_id as bigint) as campaign_id,
        cast(campaign_type as {{ dbt.type_string() }}) as campaign_type,
        cast(start_date as date) as start_date,
        cast(end_date as date) as end_date,
        cast({{ days_between('start_date', 'end_date') }} + 1 as integer) as duration_days
    from descriptions

)

select * from final
