{# An amount in dollars that is stored as a floating point number, as exact cents. #}
{% macro money(column) -%}
    {{ return(adapter.dispatch('money')(column)) }}
{%- endmacro %}

{% macro default__money(column) -%}
    cast(round({{ column }}, 2) as decimal(12, 2))
{%- endmacro %}

{# DuckDB refuses infinity and not-a-number in this cast, so a broken amount stops the build. #}
{% macro duckdb__money(column) -%}
    cast(round(cast({{ column }} as double), 2) as decimal(12, 2))
{%- endmacro %}

{# Spark rounds a decimal half up; going through one avoids its rounding of the binary value. #}
{% macro spark__money(column) -%}
    cast(round(cast({{ column }} as decimal(24, 8)), 2) as decimal(12, 2))
{%- endmacro %}
