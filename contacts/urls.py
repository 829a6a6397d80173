from django.urls import path

from contacts import api, file_api, views

api_urlpatterns = [
    path("suppressions", api.Suppressions.as_view()),
    path("suppressions/batch/add", api.BatchAdd.as_view()),
    path("suppressions/batch/remove", api.BatchRemove.as_view()),
    path("suppressions/import", file_api.SuppressionImport.as_view()),
    path("suppressions/export", file_api.SuppressionExport.as_view()),
    path("suppressions/<str:name>", api.OneSuppression.as_view()),
]

console_urlpatterns = [
    path("console/suppressions", views.suppression_list, name="suppression_list"),
    path("console/suppressions/add", views.suppression_add, name="suppression_add"),
    path("console/suppressions/import", views.suppression_import, name="suppression_import"),
    path("console/suppressions/export", views.suppression_export, name="suppression_export"),
    path(
        "console/suppressions/<uuid:suppression_id>",
        views.suppression_detail,
        name="suppression_detail",
    ),
    path(
        "console/suppressions/<uuid:suppression_id>/remove",
        views.suppression_remove,
        name="suppression_remove",
    ),
]
