from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0002_payments")]
    operations = [
        migrations.AddField("Order", "note", models.TextField(null=True)),
        migrations.AlterField("Order", "amount", models.IntegerField(default=0)),
    ]
