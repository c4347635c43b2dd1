-- Of both sides.
CREATE TABLE customers (id int8 PRIMARY KEY, name text NOT NULL, notes text);
CREATE TABLE orders (
  id int8 PRIMARY KEY,
  customer int8 NOT NULL REFERENCES customers,
  total numeric(10, 2) NOT NULL,
  state text NOT NULL
);
CREATE TABLE visits (customer int8, at timestamptz NOT NULL, path text NOT NULL);
