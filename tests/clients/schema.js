/** The tables of the app in the suite: `README.md` has them for drivers in other languages. */

export const products = [
  ['store_id', 'text'],
  ['name', 'text'],
  ['description', 'text'],
  ['price', 'text'],
  ['quantity', 'integer'],
  ['created_at', 'text'],
  ['image_url', 'text']
];

export const orders = [
  ['store_id', 'text'],
  ['status', 'text'],
  ['total', 'integer']
];
