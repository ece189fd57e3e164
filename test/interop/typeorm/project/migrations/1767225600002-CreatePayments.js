module.exports = class CreatePayments1767225600002 {
	async up(queryRunner)
	{
		await queryRunner.query('CREATE TABLE "payments" ("id" BIGSERIAL NOT NULL, "order_id" bigint NOT NULL, CONSTRAINT "PK_payments" PRIMARY KEY ("id"))');
		await queryRunner.query('CREATE INDEX "IDX_payments_order_id" ON "payments" ("order_id")');
		await queryRunner.query('ALTER TABLE "payments" ADD CONSTRAINT "FK_payments_order" FOREIGN KEY ("order_id") REFERENCES "orders"("id") ON DELETE NO ACTION ON UPDATE NO ACTION');
	}

	async down(queryRunner)
	{
		await queryRunner.query('DROP TABLE "payments"');
	}
};
