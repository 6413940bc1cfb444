"""The codes that Tableau's reference lists for each operation that the sandbox has.

The reference's error tables belong here, operation by operation, and beside them what the sandbox
answers without them, with the reason for each; the tests compare a run with both. 405000 and the
codes that any call may get (signing in, the site, the sandbox's own refusals) are not repeated.
"""

SITE = "/sites/{site_id}"
DATASOURCE = f"{SITE}/datasources/{{datasource_id}}"
PROJECT = f"{SITE}/projects/{{project_id}}"
RULE = "/permissions/{kind}/{grantee_id}/{capability}/{mode}"
PAGES = {400006, 400007, 403014}
RULES = {400000, 400009, 403004, 404002, 404012, 404013}
RULE_GONE = {400009, 403004, 404002, 404012, 404013}

# What any call may get.
EVERYWHERE = {401000, 401002, 404000, 404003, 405000, 429000, 500000, 501000}

# Operation, its name in the reference's tables, and its codes there.
DOCUMENTED: dict[str, tuple[str, set[int]]] = {
    "GET /serverInfo": ("serverInfo", set()),
    "POST /auth/signin": ("signIn", {400000, 401001, 404002}),
    "POST /auth/signout": ("signOut", set()),
    "POST /auth/switchSite": ("switchSite", {400000, 401003, 403070}),
    "GET /sessions/current": ("getCurrentServerSessionDetails", set()),
    f"GET {SITE}": ("querySite", set()),
    f"GET {SITE}/users": ("getUsersOnSite", PAGES),
    f"GET {SITE}/users/{{user_id}}": ("queryUserOnSite", {403133, 404002}),
    f"GET {SITE}/groups": ("queryGroups", PAGES),
    f"GET {SITE}/groups/{{group_id}}/users": ("getUsersInGroup", PAGES | {404012}),
    f"GET {SITE}/projects": ("queryProjects", PAGES),
    f"POST {SITE}/projects": ("createProject", {400000, 400008, 403008, 409006}),
    f"PUT {PROJECT}": (
        "updateProject",
        {400000, 400008, 403004, 403005, 403008, 404005, 404009, 409006},
    ),
    f"DELETE {PROJECT}": ("deleteProject", {403003, 404005}),
    f"GET {PROJECT}/permissions": ("queryProjectPermissions", {404005}),
    f"PUT {PROJECT}/permissions": ("addProjectPermissions", RULES | {404005, 404009}),
    f"DELETE {PROJECT}{RULE}": ("deleteProjectPermission", RULE_GONE | {404005}),
    f"GET {PROJECT}/default-permissions/datasources": (
        "queryDefaultPermissionsForDatasources",
        {403035, 403036, 404005},
    ),
    f"GET {SITE}/datasources": ("queryDataSources", PAGES),
    f"POST {SITE}/datasources": (
        "publishDataSource",
        {
            *(400000, 400008, 400010, 400011, 400019, 400055, 400129),
            *(403007, 403008, 404004, 404005, 404015),
        },
    ),
    f"GET {DATASOURCE}": ("queryDataSource", {403004, 404004}),
    f"PUT {DATASOURCE}": (
        "updateDataSource",
        {400000, 400129, 403027, 403030, 403032, 404002, 404004, 404005, 409015},
    ),
    f"DELETE {DATASOURCE}": ("deleteDataSource", {403004, 404004}),
    f"PUT {DATASOURCE}/tags": ("addTagsToDataSource", {400000, 400075, 403004, 404004, 404009}),
    f"DELETE {DATASOURCE}/tags/{{label}}": (
        "deleteTagFromDataSource",
        {400077, 403004, 404004, 404007},
    ),
    f"GET {DATASOURCE}/permissions": ("queryDataSourcePermissions", {404004}),
    f"PUT {DATASOURCE}/permissions": ("addDataSourcePermissions", RULES | {404004}),
    f"DELETE {DATASOURCE}{RULE}": ("deleteDataSourcePermission", RULE_GONE | {404004}),
    f"GET {DATASOURCE}/connections": ("queryDataSourceConnections", {403021, 404011}),
    f"PUT {DATASOURCE}/connections/{{connection_id}}": (
        "updateDataSourceConnection",
        {400000, 403023, 403027, 403062, 404004},
    ),
    f"GET {DATASOURCE}/content": ("downloadDataSource", {403028, 404004}),
    f"GET {DATASOURCE}/revisions": ("getDataSourceRevisions", PAGES | {403053, 403054}),
    f"DELETE {DATASOURCE}/revisions/{{number}}": (
        "removeDataSourceRevision",
        {403004, 403053, 403055, 404006, 404024},
    ),
    f"GET {DATASOURCE}/revisions/{{number}}/content": (
        "downloadDataSourceRevision",
        {403028, 403053, 404004, 404024},
    ),
    f"POST {DATASOURCE}/refresh": ("updateDataSourceNow", {400000, 403032, 404004}),
    f"POST {SITE}/fileUploads": ("initiateFileUpload", {400000, 403015}),
    f"PUT {SITE}/fileUploads/{{upload_id}}": (
        "appendToFileUpload",
        {400000, 400016, 400019, 400020, 403007, 403016, 404015},
    ),
    f"GET {SITE}/jobs": ("queryJobs", set()),
    f"GET {SITE}/jobs/{{job_id}}": ("queryJob", {404018}),
    f"PUT {SITE}/jobs/{{job_id}}": ("cancelJob", {403032, 403091}),
    f"GET {SITE}/workbooks": ("queryWorkbooksForSite", PAGES | {403018}),
    f"GET {SITE}/workbooks/{{workbook_id}}": ("queryWorkbook", {403018, 404006}),
    f"GET {SITE}/workbooks/{{workbook_id}}/views": (
        "queryViewsForWorkbook",
        {400008, 403004, 404006},
    ),
    f"GET {SITE}/views/{{view_id}}": ("getView", {404006}),
}

# What the sandbox answers although the reference does not list it there, and why.
FILTERS = {
    400000: "a sort expression that is malformed: the body's code, for want of one",
    400065: "a filter that is not understood: reported by users, see the choices",
}
EXCEPTIONS: dict[str, dict[int, str]] = {
    f"GET {SITE}/projects": FILTERS,
    f"GET {SITE}/datasources": FILTERS,
    f"GET {SITE}/workbooks": FILTERS,
    f"GET {SITE}/users": FILTERS,
    f"GET {SITE}/groups": FILTERS,
    f"GET {SITE}/jobs": {
        **FILTERS,
        400006: "as for other lists",
        400007: "as for other lists",
        403014: "as for other lists",
    },
    f"POST {SITE}/projects": {
        403045: "making a project is not allowed: Tableau's migration kit names it",
        404002: "an owner who does not exist, as when updating",
        404005: "a parent that does not exist, as when updating",
    },
    f"PUT {PROJECT}": {404002: "an owner who does not exist, as for a data source"},
    f"DELETE {PROJECT}": {403004: "deleting is not allowed, as for updating"},
    f"PUT {DATASOURCE}/permissions": {404009: "a body about another item, as for projects"},
    f"GET {DATASOURCE}/content": {400008: "includeExtract is no boolean, as for other parameters"},
    f"GET {DATASOURCE}/revisions": {404004: "the table lists the case without its code"},
    f"GET {DATASOURCE}/revisions/{{number}}/content": {
        400008: "includeExtract is no boolean, as for other parameters"
    },
    f"POST {DATASOURCE}/refresh": {409093: "a refresh is queued already: TSC knows the code"},
    f"PUT {SITE}/jobs/{{job_id}}": {404018: "no such job, as when asking for it"},
}
