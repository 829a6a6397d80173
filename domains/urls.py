from django.urls import path

from domains import key_api

api_urlpatterns = [
    path("api-keys", key_api.ResendKeys.as_view()),
    path("api-keys/<uuid:key_id>", key_api.ResendKey.as_view()),
]
