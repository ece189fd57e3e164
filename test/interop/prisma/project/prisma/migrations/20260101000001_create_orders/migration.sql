-- CreateTable
CREATE TABLE "orders" (
    "id" BIGSERIAL NOT NULL,
    "customer" INTEGER,
    "amount" INTEGER,

    CONSTRAINT "orders_pkey" PRIMARY KEY ("id")
);
