-- The app's database: 40 stores with 100 to 4,000 products each.
\connect app
CREATE TABLE stores (
  id text PRIMARY KEY,
  name text NOT NULL,
  region text NOT NULL,
  active boolean NOT NULL DEFAULT true
);
CREATE TABLE products (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  store_id text NOT NULL REFERENCES stores,
  name text NOT NULL,
  price numeric(10, 2) NOT NULL,
  quantity integer NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON products (store_id);

INSERT INTO stores (id, name, region)
SELECT 'store-' || lpad(number::text, 3, '0'), 'Store ' || number, (ARRAY['north', 'east', 'south', 'west'])[number % 4 + 1]
FROM generate_series(1, 40) AS number;

INSERT INTO products (store_id, name, price, quantity)
SELECT 'store-' || lpad(store::text, 3, '0'), 'Product ' || product, (product * 37 % 9999 + 1) / 100.0, product * 13 % 500
FROM generate_series(1, 40) AS store, generate_series(1, store * 100) AS product;

CREATE PUBLICATION powersync FOR TABLE stores, products;

GRANT SELECT ON ALL TABLES IN SCHEMA public TO powersync;
GRANT SELECT ON stores TO seedbed;
