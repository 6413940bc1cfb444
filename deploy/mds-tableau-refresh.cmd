@echo off
rem Started by the task of the same name. Works from the folder above this one, whatever its name.
cd /d "%~dp0.."
.venv\Scripts\mds-tableau.exe refresh >>"data\refresh.log" 2>&1
exit /b %ERRORLEVEL%
