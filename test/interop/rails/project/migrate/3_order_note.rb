class OrderNote < ActiveRecord::Migration[6.1]
  def change
    add_column :orders, :note, :text
    change_column_null :orders, :amount, false
  end
end
