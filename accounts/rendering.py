from django.forms.renderers import TemplatesSetting


class ConsoleForms(TemplatesSetting):
    """Every form of the console, allauth's too, is drawn by templates/forms/."""

    form_template_name = "forms/form.html"
    formset_template_name = "forms/form.html"
    field_template_name = "forms/field.html"
