--
-- The registry: every rule, its class and default action, what it is for.
--
SELECT name, class, default_action, description FROM migrate.rules ORDER BY name COLLATE "C";
SELECT name FROM migrate.rules WHERE description = '' OR remedy = '' OR action <> default_action;
