module.exports = class OrderNote1767225600003 {
	async up(queryRunner)
	{
		await queryRunner.query('ALTER TABLE "orders" ADD "note" text');
		await queryRunner.query('ALTER TABLE "orders" ALTER COLUMN "amount" SET NOT NULL');
	}

	async down(queryRunner)
	{
		await queryRunner.query('ALTER TABLE "orders" ALTER COLUMN "amount" DROP NOT NULL');
		await queryRunner.query('ALTER TABLE "orders" DROP COLUMN "note"');
	}
};
