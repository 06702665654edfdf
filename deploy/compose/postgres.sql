-- The databases of compose.yaml, and sample data: 50 stores with 200 to 2,160 products each.

CREATE ROLE seedbed LOGIN PASSWORD 'seedbed';
CREATE DATABASE catalog OWNER seedbed;

-- PowerSync replicates the app's database, and keeps its buckets in one of its own.
CREATE ROLE powersync LOGIN REPLICATION BYPASSRLS PASSWORD 'powersync';
CREATE DATABASE powersync_storage OWNER powersync;

CREATE DATABASE app;
\connect app

CREATE TABLE stores (
  id text PRIMARY KEY,
  name text NOT NULL
);

CREATE TABLE products (
  id text PRIMARY KEY,
  store_id text NOT NULL REFERENCES stores,
  name text NOT NULL,
  price numeric(10, 2) NOT NULL,
  quantity integer NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX products_by_store ON products (store_id);

INSERT INTO stores
SELECT format('store-%s', lpad(n::text, 2, '0')), format('Store %s', n)
FROM generate_series(1, 50) AS n;

INSERT INTO products (id, store_id, name, price, quantity)
SELECT
  gen_random_uuid()::text,
  format('store-%s', lpad(n::text, 2, '0')),
  format('Product %s of store %s', product, n),
  (product * 37 % 10000) / 100.0,
  product * 13 % 500
FROM generate_series(1, 50) AS n, generate_series(1, 160 + 40 * n) AS product;

GRANT SELECT ON ALL TABLES IN SCHEMA public TO powersync;
CREATE PUBLICATION powersync FOR TABLE stores, products;

-- What Seedbed reads the list of stores with.
CREATE ROLE reader LOGIN PASSWORD 'reader';
GRANT SELECT ON stores TO reader;
