@echo off
rem Started by the task of the same name. Works from the folder above this one, whatever its name.
cd /d "%~dp0.."
set "DAGSTER_HOME=%CD%\data\dagster"
.venv\Scripts\dagster.exe asset materialize --select "*" -m mds_tableau.definitions >>"data\refresh.log" 2>&1
exit /b %ERRORLEVEL%
