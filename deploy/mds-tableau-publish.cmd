@echo off
rem Started by the task of the same name. Works from the folder above this one, whatever its name.
cd /d "%~dp0.."
.venv\Scripts\mds-tableau.exe publish --input "C:\Incoming files\sales.csv" --name "Sales" --project "Analytics" --quiet >>"data\publish.log" 2>&1
exit /b %ERRORLEVEL%
