with

source as (

    select * from {{ source('raw', 'campaign_descriptions') }}

),

final as (

    select
        cast(campaign_id as bigint) as campaign_id,
        cast(campaign_type as {{ dbt.type_string() }}) as campaign_type,
        cast(start_date as date) as start_date,
        cast(end_date as date) as end_date
    from source

)

select * from final
