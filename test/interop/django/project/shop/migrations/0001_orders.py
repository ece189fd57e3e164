from django.db import migrations, models


class Migration(migrations.Migration):
    operations = [
        migrations.CreateModel(
            "Order",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("customer", models.IntegerField(null=True)),
                ("amount", models.IntegerField(null=True)),
            ],
            options={"db_table": "orders"},
        ),
    ]
