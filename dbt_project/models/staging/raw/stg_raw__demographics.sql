with

source as (

    select * from {{ source('raw', 'demographics') }}

),

final as (

    select
        cast(household_id as bigint) as household_id,
        cast(age as {{ dbt.type_string() }}) as age_range,
        cast(income as {{ dbt.type_string() }}) as income_range,
        cast(home_ownership as {{ dbt.type_string() }}) as home_ownership,
        cast(marital_status as {{ dbt.type_string() }}) as marital_status,
        cast(household_size as {{ dbt.type_string() }}) as household_size,
        cast(household_comp as {{ dbt.type_string() }}) as household_composition,
        cast(kids_count as {{ dbt.type_string() }}) as kids_count
    from source

)

select * from final
