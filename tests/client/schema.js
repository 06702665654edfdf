/** The tables of the app in the tests. */

import { Schema, Table, column } from '@powersync/node';

const PRODUCTS = {
  store_id: column.text,
  name: column.text,
  description: column.text,
  price: column.text,
  quantity: column.integer,
  created_at: column.text,
  image_url: column.text
};
const ORDERS = { store_id: column.text, status: column.text, total: column.integer };

export const schema = new Schema({ products: new Table(PRODUCTS), orders: new Table(ORDERS) });

/** The columns of each table, in the order in which rows are compared. */
export const columns = { products: ['id', ...Object.keys(PRODUCTS)], orders: ['id', ...Object.keys(ORDERS)] };
