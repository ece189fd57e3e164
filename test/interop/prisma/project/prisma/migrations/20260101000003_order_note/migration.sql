-- AlterTable
ALTER TABLE "orders" ADD COLUMN     "note" TEXT,
ALTER COLUMN "amount" SET NOT NULL;
