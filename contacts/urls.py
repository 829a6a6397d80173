from django.urls import path

from contacts import api

api_urlpatterns = [
    path("suppressions", api.Suppressions.as_view()),
    path("suppressions/batch/add", api.BatchAdd.as_view()),
    path("suppressions/batch/remove", api.BatchRemove.as_view()),
    path("suppressions/<str:name>", api.OneSuppression.as_view()),
]
