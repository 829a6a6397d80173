"""Where everything hangs: /v1 for the API, the rest for people."""

from django.urls import include, path

from accounts import urls as accounts
from apikeys import urls as apikeys
from auditlog import urls as auditlog
from contacts import urls as contacts
from domains import urls as domains
from queensmtp import (
    api_document,
    api_reference,
    docs_views,
    error_views,
    health,
    metrics_views,
)
from sending import urls as sending
from webhooks import urls as webhooks

api_urlpatterns = [
    *apikeys.api_urlpatterns,
    *domains.api_urlpatterns,
    *contacts.api_urlpatterns,
    *sending.api_urlpatterns,
    *webhooks.api_urlpatterns,
    *auditlog.api_urlpatterns,
    path("openapi.json", api_document.OpenApi.as_view()),
]

console_urlpatterns = [
    *accounts.console_urlpatterns,
    *apikeys.console_urlpatterns,
    *domains.console_urlpatterns,
    *webhooks.console_urlpatterns,
    *sending.console_urlpatterns,
    *contacts.console_urlpatterns,
    *auditlog.console_urlpatterns,
]

urlpatterns = [
    path("livez", health.live),
    path("readyz", health.ready),
    path("metrics", metrics_views.page),
    path("v1/", include(api_urlpatterns)),
    path(".well-known/", include(auditlog.well_known_urlpatterns)),
    path("docs", docs_views.index, name="docs"),
    path("docs/api", api_reference.page, name="docs_api"),
    path("docs/<path:name>", docs_views.page, name="docs_page"),
    *sending.link_urlpatterns,
    *domains.public_urlpatterns,
    *console_urlpatterns,
]

handler400 = error_views.bad_request
handler403 = error_views.forbidden
handler404 = error_views.not_found
handler500 = error_views.server_error
