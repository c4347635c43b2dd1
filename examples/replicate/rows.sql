-- Of the source, before anything is copied.
INSERT INTO customers SELECT n, 'Customer ' || n, repeat('likes tea; ', n::int % 400) FROM generate_series(1, 2000) n;
INSERT INTO orders SELECT n, 1 + n % 2000, n / 7.0, 'new' FROM generate_series(1, 20000) n;
INSERT INTO visits SELECT n % 2000, now() - n * interval '1 s', '/tea/' || n % 50 FROM generate_series(1, 20000) n;
