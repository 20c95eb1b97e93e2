INSERT INTO notes (body, instance) VALUES ('Welcome', 'seed');
