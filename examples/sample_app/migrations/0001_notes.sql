-- The program creates this table too, so that it runs without a deploy.
CREATE TABLE IF NOT EXISTS notes (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  body text NOT NULL CHECK (length(body) BETWEEN 1 AND 2000),
  instance text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
