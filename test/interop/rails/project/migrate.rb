# What "rails db:migrate" and "rails db:rollback" do, without Rails.
require "active_record"

ActiveRecord::Base.establish_connection(ENV["DATABASE_URL"])
migrations = ActiveRecord::MigrationContext.new("migrate", ActiveRecord::SchemaMigration)

case ARGV[0]
when "up" then migrations.migrate
when "down" then migrations.rollback(1)
when "reset" then migrations.down(0)
when "pending" then puts migrations.needs_migration?
end
