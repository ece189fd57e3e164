from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_orders")]
    operations = [
        migrations.CreateModel(
            "Payment",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("order", models.ForeignKey("shop.Order", models.CASCADE)),
            ],
            options={"db_table": "payments"},
        ),
    ]
