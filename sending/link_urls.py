"""The links in mails: all that is answered at the tracking host of a sending domain."""

from django.urls import path

from sending import link_views

urlpatterns = [
    path("t/o/<str:token>.gif", link_views.opened, name="link_opened"),
    path("t/c/<str:token>/<str:encoded>", link_views.clicked, name="link_clicked"),
    path("u/<str:token>", link_views.unsubscribe, name="link_unsubscribe"),
]
